-- One waiting room in Redis: the rule of room.rs, word for word. One call is one step, and touches at most a few hundred
-- places. Times are milliseconds.
--
-- KEYS: 1 the room (a hash), 2 line (who -> ticket), 3 seen (who -> when last heard of, by the clock of presence),
--       4 called (who -> until when, by the clock of presence), 5 inside (who -> until when)
-- ARGV: 1 who, 2 "join" or "leave", 3 rate, 4 most inside, 5 pass, 6 grace, 7 most places, 8 now (0: Redis' own time)
-- Answers: what ("waiting", "inside", "gone", "full"), position or until, waiting, inside, admitted, left, observed, born

local BITE = 256
local MEMORY = 30000
local STANDSTILL_MAX = 3600000
-- A room of which nothing is asked for so long is forgotten.
local KEPT = 7 * 24 * 3600 * 1000
-- How often that is put off.
local TOUCH = 600 * 1000

local room, line, seen, called, inside = unpack(KEYS)
local who, ask = ARGV[1], ARGV[2]
local rate, inside_max, pass, grace, places_max =
    tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = tonumber(ARGV[8])
if now == 0 then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Whole numbers are written as such, others with all their digits.
local function text(number)
    if number == math.floor(number) then return string.format('%.0f', number) end
    return string.format('%.17g', number)
end

local FIELDS = {'born', 'last', 'paused', 'ticket', 'rate', 'inside_max', 'tokens', 'admitted', 'left', 'since', 'touched'}
local stored = redis.call('HMGET', room, unpack(FIELDS))
local r = {}
for index, field in ipairs(FIELDS) do r[field] = tonumber(stored[index]) end
if not r.born then
    r = {born = now, last = now, paused = 0, ticket = 0, rate = rate, inside_max = inside_max, tokens = rate,
         admitted = 0, left = 0, since = now, touched = 0}
end

-- The clocks, never back. A quarter of the grace time in silence is not that of people, but for an hour at most.
now = math.max(now, r.last)
local passed = now - r.last
r.paused = r.paused + math.min(math.max(passed - math.floor(grace / 4), 0), STANDSTILL_MAX)
r.last = now
local present = now - r.paused

-- The pace.
local function forget()
    r.admitted, r.left, r.since = 0, 0, now
end
r.tokens = math.min(r.tokens + passed * r.rate / 1000, rate)
local kept = math.exp(-passed / MEMORY)
r.admitted = r.admitted * kept
r.left = r.left * kept
if r.rate ~= rate or r.inside_max ~= inside_max then
    r.rate, r.inside_max = rate, inside_max
    forget()
end

local function put(key, score, member)
    redis.call('ZADD', key, score, member)
end

local function take_out(member)
    if redis.call('ZREM', line, member) == 1 then
        redis.call('ZREM', seen, member)
        r.left = r.left + 1
    end
end

-- Says that he is here, with a new place where he has none. False: there is none to be had.
local function find_or_line_up()
    local until_inside = redis.call('ZSCORE', inside, who)
    if until_inside then
        if now < tonumber(until_inside) then return true end
        redis.call('ZREM', inside, who)
    end
    local until_called = redis.call('ZSCORE', called, who)
    if until_called then
        if present <= tonumber(until_called) then return true end
        redis.call('ZREM', called, who)
    end
    local last_seen = redis.call('ZSCORE', seen, who)
    if last_seen then
        if present - tonumber(last_seen) <= grace then
            put(seen, present, who)
            return true
        end
        take_out(who)
    end
    local waiting = redis.call('ZCARD', line)
    if waiting >= places_max then return false end
    if waiting == 0 then
        forget()
        r.touched = 0
    end
    put(line, r.ticket, who)
    put(seen, present, who)
    r.ticket = r.ticket + 1
    return true
end

local function expire(key, before)
    local over = redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. text(before), 'LIMIT', 0, BITE)
    if #over > 0 then redis.call('ZREM', key, unpack(over)) end
end

local full = false
if ask == 'join' then
    full = not find_or_line_up()
else
    redis.call('ZREM', called, who)
    redis.call('ZREM', inside, who)
    take_out(who)
end

-- Takes out some who were not heard of, and some whose time is over.
local silent = redis.call('ZRANGEBYSCORE', seen, '-inf', '(' .. text(present - grace), 'LIMIT', 0, BITE)
if #silent > 0 then
    redis.call('ZREM', line, unpack(silent))
    redis.call('ZREM', seen, unpack(silent))
    r.left = r.left + #silent
end
expire(called, present)
expire(inside, now + 1)

-- Calls in from the front as many as the rate and the cap allow.
local called_before, inside_before = redis.call('ZCARD', called), redis.call('ZCARD', inside)
local free = inside_max - called_before - inside_before
local count = math.min(math.max(math.min(free, math.floor(r.tokens)), 0), BITE)
if count > 0 then
    local heads = redis.call('ZRANGE', line, 0, count - 1)
    if #heads > 0 then
        local last_seen = redis.call('ZMSCORE', seen, unpack(heads))
        redis.call('ZREM', line, unpack(heads))
        redis.call('ZREM', seen, unpack(heads))
        local come = {}
        for index, head in ipairs(heads) do
            if last_seen[index] and present - tonumber(last_seen[index]) <= grace then
                come[#come + 1] = text(present + grace)
                come[#come + 1] = head
            else
                r.left = r.left + 1
            end
        end
        if #come > 0 then
            redis.call('ZADD', called, unpack(come))
            if called_before == 0 then r.touched = 0 end
            r.admitted = r.admitted + #come / 2
            r.tokens = r.tokens - #come / 2
        end
    end
end
if redis.call('ZREM', called, who) == 1 then
    put(inside, text(now + pass), who)
    if inside_before == 0 then r.touched = 0 end
end

-- Every key is forgotten in time. One that was made by this call has set `touched` to 0.
local touch = now - r.touched > TOUCH
if touch then r.touched = now end
local values = {}
for _, field in ipairs(FIELDS) do
    values[#values + 1] = field
    values[#values + 1] = text(r[field])
end
redis.call('HSET', room, unpack(values))
if touch then
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, KEPT) end
end

local waiting = redis.call('ZCARD', line)
local facts = {waiting, redis.call('ZCARD', called) + redis.call('ZCARD', inside), text(r.admitted), text(r.left),
               text(now - r.since), text(r.born)}
local until_inside = redis.call('ZSCORE', inside, who)
if until_inside then return {'inside', text(tonumber(until_inside)), unpack(facts)} end
local rank = redis.call('ZRANK', line, who)
if rank then return {'waiting', text(rank + 1), unpack(facts)} end
return {full and 'full' or 'gone', '0', unpack(facts)}
