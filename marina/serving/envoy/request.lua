-- What TorchServe would lose on the way to a handler.
function envoy_on_request(request)
  local headers = request:headers()

  -- Another node asks: it has chosen the version, and says so to its client.
  if headers:get("x-marina-experiment") then
    request:streamInfo():dynamicMetadata():set("marina", "relayed", true)
  end

  -- These are ours to set.
  for _, name in ipairs({ "experiment", "variant", "key", "mirror" }) do
    headers:remove("x-marina-" .. name)
  end

  -- It does not pass query parameters on.
  headers:remove("x-request-query")
  local query = headers:get(":path"):match("%?(.*)$")
  if query then
    headers:add("x-request-query", query)
  end

  -- curl calls whatever it sends a form. What is none (JSON, an image) would be taken apart as one, and dropped.
  if headers:get("content-type") == "application/x-www-form-urlencoded" then
    local body = request:body()
    if body and not body:getBytes(0, math.min(body:length(), 64)):match("^[%w%%%._+*-]+=") then
      request:headers():remove("content-type") -- `headers` did not survive the wait for the body
    end
  end
end

function envoy_on_response(reply)
  reply:headers():remove("ts_stream_next") -- between a worker and TorchServe
  local marks = reply:streamInfo():dynamicMetadata():get("marina")
  if marks and marks["relayed"] then
    reply:headers():remove("x-variant")
    reply:headers():remove("x-variant-source")
  end
end
