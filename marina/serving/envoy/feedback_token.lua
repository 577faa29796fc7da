-- Signs the header x-feedback-token of responses to an experiment's requests, by HMAC-SHA256 (RFC 2104, FIPS 180-4).
--
-- Envoy's Lua has no HMAC. The route gives experiment and key as the filter's context, and the header's claims as
-- "<exposure id> <seconds> <request id>"; marina/experiments/feedback_token.py verifies the result.
local band, bnot, bor, bxor = bit.band, bit.bnot, bit.bor, bit.bxor
local lshift, ror, rshift, tobit = bit.lshift, bit.ror, bit.rshift, bit.tobit

-- The constants are fractions of the square and cube roots of the first primes.
local START, ROUND = {}, {}
local candidate = 2
while #ROUND < 64 do
  local prime = true
  for divisor = 2, math.sqrt(candidate) do
    prime = prime and candidate % divisor ~= 0
  end
  if prime then
    if #START < 8 then
      START[#START + 1] = tobit(math.floor(candidate ^ (1 / 2) % 1 * 2 ^ 32))
    end
    ROUND[#ROUND + 1] = tobit(math.floor(candidate ^ (1 / 3) % 1 * 2 ^ 32))
  end
  candidate = candidate + 1
end

local words = {}

-- Add the block of 64 bytes at `from` to the hash state.
local function compress(state, text, from)
  for i = 1, 16 do
    local a, b, c, d = text:byte(from + 4 * i - 4, from + 4 * i - 1)
    words[i] = bor(lshift(a, 24), lshift(b, 16), lshift(c, 8), d)
  end
  for i = 17, 64 do
    local x, y = words[i - 15], words[i - 2]
    local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
    local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
    words[i] = tobit(words[i - 16] + s0 + words[i - 7] + s1)
  end
  local a, b, c, d, e, f, g, h = unpack(state)
  for i = 1, 64 do
    local s1, choice = bxor(ror(e, 6), ror(e, 11), ror(e, 25)), bxor(band(e, f), band(bnot(e), g))
    local t = tobit(h + s1 + choice + ROUND[i] + words[i])
    local s0, majority = bxor(ror(a, 2), ror(a, 13), ror(a, 22)), bxor(band(a, b), band(a, c), band(b, c))
    h, g, f, e, d, c, b, a = g, f, e, tobit(d + t), c, b, a, tobit(t + s0 + majority)
  end
  for i, value in ipairs({ a, b, c, d, e, f, g, h }) do
    state[i] = tobit(state[i] + value)
  end
end

local function big_endian(word)
  return string.char(rshift(word, 24), band(rshift(word, 16), 255), band(rshift(word, 8), 255), band(word, 255))
end

-- Hash `text` from a state that has taken one block already; return the state after it.
local function finish(started, text)
  local state = { unpack(started) }
  local bits = 8 * (64 + #text)
  text = text .. "\128" .. ("\0"):rep((55 - #text) % 64) .. big_endian(0) .. big_endian(bits)
  for from = 1, #text, 64 do
    compress(state, text, from)
  end
  return state
end

local function padded(key, byte)
  local state = { unpack(START) }
  local block = key .. ("\0"):rep(64 - #key)
  compress(state, block:gsub(".", function(c) return string.char(bxor(c:byte(), byte)) end), 1)
  return state
end

local pads = {} -- by key: the states after the key's blocks, two thirds of the work

-- Return the HMAC of a text in hexadecimal; the key has at most 64 bytes.
local function hmac(key, text)
  if not pads[key] then
    pads = { [key] = { padded(key, 0x36), padded(key, 0x5c) } }
  end
  local inner, digest = finish(pads[key][1], text), {}
  for i = 1, 8 do
    digest[i] = big_endian(inner[i])
  end
  local outer = finish(pads[key][2], table.concat(digest))
  for i = 1, 8 do
    digest[i] = bit.tohex(outer[i])
  end
  return table.concat(digest)
end

function envoy_on_response(response)
  local headers, context = response:headers(), response:filterContext()
  local claims = headers:get("x-feedback-token") -- absent where another filter responded
  if claims then
    local exposure, seconds, request_id = claims:match("^(%S+) (%d+) (.*)$")
    local token = context:get("experiment") .. "." .. exposure .. "." .. seconds
    headers:replace("x-feedback-token", token .. "." .. hmac(context:get("key"), token .. " " .. request_id))
  end
end
