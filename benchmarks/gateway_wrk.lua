-- Sends the requests of a file, in which a zero byte stands between them, in random order, and prints one line of JSON.

local calls = {}

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for call in (file:read("*a") .. "\0"):gmatch("(%Z+)%z") do
      calls[#calls + 1] = call
   end
   file:close()
   math.randomseed(tonumber(arguments[2]))
end

function request()
   return calls[math.random(#calls)]
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      '{"calls": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}',
      summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99)
   ))
end
