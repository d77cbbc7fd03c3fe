"""`vtv taskres train`."""

import json
from argparse import Namespace

from artifacts.console import say
from cli import options, taskres_options, values
from cli.parser import Commands, UsageError

ABOUT = """\
A residual x over the task's base t, so that t + alpha x classifies, by Adam with the paper's schedule: 100 epochs up
to four shots, 200 from there on. The features of pictures are computed once; then a training takes seconds. The
accuracy on all test pictures is told, and stored; nothing is chosen on them."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "train",
        "learn a task's residual from a few pictures a class",
        about=ABOUT,
        examples=[
            "vtv taskres train animals.base --dataset animals --shots 16 -o animals.task",
            "vtv taskres train animals.base --dataset animals --shots 4 --alpha auto --seed 2 --json -o animals.task",
        ],
        run=run,
        resumes=True,
    )
    parser.add_argument("base", type=values.input_file, metavar="BASE", help="what `vtv taskres base` wrote")
    taskres_options.add_class_data(parser)
    parser.add_argument("--shots", type=values.whole(1), default=16, metavar="N", help="training pictures a class")
    taskres_options.add_learning(parser)
    parser.add_argument("--epochs", type=values.whole(1), metavar="N", help="passes (default: the paper's)")
    parser.add_argument("--seed", type=values.whole(0), default=1, metavar="N", help="of the draw and of the order")
    parser.add_argument("--task", metavar="NAME", help="the task's name (default: the base's)")
    parser.add_argument("--description", metavar="TEXT", help="what the task does (default: the base's)")
    options.add_output(parser, "the task's file")
    taskres_options.add_tower(parser)
    taskres_options.add_precision(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Learn, measure, write."""
    from artifacts.store.file import check_name
    from artifacts.store.residual import load_residual, save_residual
    from artifacts.taskres.learner import Settings, usual_epochs
    from artifacts.taskres.task import describe
    from artifacts.taskres.train import accuracy_metric, right_answers, train
    from engine.towers.folder import read_fingerprint

    if a.alpha == "auto" and a.learn_alpha:
        raise UsageError("--learn-alpha starts from a number: it does not go with --alpha auto")
    artifact = load_residual(a.base, read_fingerprint(a.tower))
    name = a.task or artifact.task
    check_name(name)
    source = taskres_options.feature_source(a, taskres_options.class_data(a, artifact.value.labels))
    settings = Settings(
        alpha=0.5 if a.alpha == "auto" else a.alpha,
        learning_rate=a.rate,
        epochs=a.epochs or usual_epochs(a.shots),
        seed=a.seed,
        learn_alpha=a.learn_alpha,
    )
    trained = train(source, artifact.value, a.shots, settings, a.alpha == "auto")
    metric = accuracy_metric(right_answers(trained.value, source.test()), source.cache.encoder.precision)
    data, told = taskres_options.data_name(a.dataset), a.description or artifact.description
    digest = save_residual(
        a.output, trained.value, describe(name, "task residual", a.shots, a.seed, data, told, metric)
    )
    loss = trained.learned.steps[-1].loss
    say(f"{name}: loss {loss:.3f} at the last step, alpha {trained.value.alpha:.3g}, in {a.output}")
    entry = {"task": name, "artifact": digest, "alpha": trained.value.alpha, "loss": loss, "metric": metric}
    print(json.dumps(entry) if a.json else f"accuracy {metric['value']} {metric['interval']}")
    return 0
