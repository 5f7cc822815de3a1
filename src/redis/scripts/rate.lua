-- Decides whether somebody may make calls now, and charges them if so (the generic cell rate algorithm; see src/rate/gcra.rs).
-- KEYS[1]: the theoretical arrival time (TAT) of the one who calls, in microseconds of Redis' clock. None: his budget is full.
-- ARGV: the microseconds that one call costs; how many calls make a burst; how many calls these are; how many the same
-- request was charged before.
-- Returns 0, or after how many microseconds the same would be admitted.

-- Most calls that one request is charged: a batch of a thousand, and the call itself.
local COST_MAX = 1001

local interval, burst, cost, paid = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- What is no number ("nan" neither) was put there by somebody else. So was what never expires. And what lies further ahead than all that
-- one may owe is by a clock that was set back since. It is overwritten.
local held = redis.pcall('GET', KEYS[1])
local tat = type(held) == 'string' and tonumber(held)
local from = now
local owed_max = interval * (burst + COST_MAX)
if tat and tat > now and tat <= now + owed_max and redis.call('PTTL', KEYS[1]) >= 0 then
  from = tat
end
local over = from + interval * (math.min(cost + paid, burst) - paid) - (now + interval * burst)
-- Less than a microsecond is what doubles of this size do not tell.
if over >= 1 then
  return math.ceil(over + interval * paid)
end
local next_tat = from + interval * cost
redis.call('SET', KEYS[1], string.format('%.2f', next_tat), 'PX', math.max(1, math.ceil((next_tat - now) / 1000)))
return 0
