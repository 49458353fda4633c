-- One short text a request, each different.
local count = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"

function request()
  count = count + 1
  return wrk.format(nil, nil, nil, '{"model":"echo","input":"a red circle above a blue square ' .. count .. '"}')
end
