"""The control app on 8090: readiness, cards and the API's description; the loop of serving.fleet runs in it."""
