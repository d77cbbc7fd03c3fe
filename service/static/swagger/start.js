// Shows the API's description. A file of its own, so that the page's policy need not allow scripts inside it.
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  // Relative, so that a proxy may put the service below a prefix.
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset].filter(Boolean),
  validatorUrl: null, // it would be told this server's address
});
