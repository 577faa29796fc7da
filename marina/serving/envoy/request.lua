-- Prepares requests for TorchServe, which forwards no query strings to a handler. It never reads a body.
function envoy_on_request(request)
  local headers = request:headers()

  -- Another node forwarded this request: it has chosen the variant, and names it in its own response.
  -- RELAYED_BY comes before this script (marina/serving/envoy/node_tls.py).
  local tls = request:streamInfo():downstreamSslConnection()
  local node = RELAYED_BY == "header" or (RELAYED_BY == "certificate" and tls and tls:peerCertificateValidated())
  if node and headers:get("x-marina-experiment") then
    request:streamInfo():dynamicMetadata():set("marina", "relayed", true)
  end

  -- Clients must not set these headers: the routes set them.
  for _, name in ipairs({ "experiment", "exposure", "variant", "key", "mirror", "caller", "caller-proof" }) do
    headers:remove("x-marina-" .. name)
  end
  -- Set by another node, which has hidden the content type. With any other content type a client has made it up.
  if headers:get("content-type") ~= "application/octet-stream" then
    headers:remove("x-marina-content-type")
  end

  -- TorchServe drops the query string.
  headers:remove("x-request-query")
  local query = headers:get(":path"):match("%?(.*)$")
  if query then
    headers:add("x-request-query", query)
  end
end

function envoy_on_response(response)
  response:headers():remove("ts_stream_next") -- between a worker and TorchServe
  local marks = response:streamInfo():dynamicMetadata():get("marina")
  if marks and marks["relayed"] then
    response:headers():remove("x-variant")
    response:headers():remove("x-variant-source")
  end
end
