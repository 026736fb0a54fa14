package api

import (
	"net/http"

	swaggerFiles "github.com/swaggo/files/v2"
)

// docsPage shows the OpenAPI document with the Swagger UI that is part of the binary, so it works without internet.
const docsPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Gantry API</title><link rel="stylesheet" href="swagger-ui.css"></head>
<body><div id="ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "../openapi.json", dom_id: "#ui", deepLinking: true});</script>
</body></html>
`

func docs() http.Handler {
	files := http.FileServerFS(swaggerFiles.FS)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			files.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if _, err := w.Write([]byte(docsPage)); err != nil {
			return // the client went away
		}
	})
}
