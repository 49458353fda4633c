-- A different base64 JPEG each request, from the bodies in the folder given.
local bodies = {}
local count = 0

function init(arguments)
  for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
end

wrk.method = "POST"
wrk.headers["content-type"] = "application/json"

function request()
  count = count + 1
  return wrk.format(nil, nil, nil, bodies[(count - 1) % #bodies + 1])
end
