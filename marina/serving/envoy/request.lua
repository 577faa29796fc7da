-- Prepares requests for TorchServe, which forwards neither query strings nor every body to a handler.
function envoy_on_request(request)
  local headers = request:headers()

  -- Another node forwarded this request: it has chosen the variant, and names it in its own response.
  if headers:get("x-marina-experiment") then
    request:streamInfo():dynamicMetadata():set("marina", "relayed", true)
  end

  -- Clients must not set these headers: the routes set them.
  for _, name in ipairs({ "experiment", "exposure", "variant", "key", "mirror" }) do
    headers:remove("x-marina-" .. name)
  end

  -- TorchServe drops the query string.
  headers:remove("x-request-query")
  local query = headers:get(":path"):match("%?(.*)$")
  if query then
    headers:add("x-request-query", query)
  end

  -- curl declares any body a form. TorchServe would parse JSON or an image as one, and drop it.
  if headers:get("content-type") == "application/x-www-form-urlencoded" then
    local body = request:body()
    if body and not body:getBytes(0, math.min(body:length(), 64)):match("^[%w%%%._+*-]+=") then
      request:headers():remove("content-type") -- `headers` did not survive the wait for the body
    end
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
