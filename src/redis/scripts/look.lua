-- What hangs on the board of one event.
-- KEYS: the view, who keeps it fresh, the mark that somebody asked. ARGV: the stamp of the text that the caller has already, and
-- '1' where somebody asks.
-- Answers: whether somebody asked lately, who keeps it fresh ('': nobody), the view's remaining life in ms (negative: there is
-- none), how many ms ago it was posted, seq, read_at, stamp, and the text (nil: the caller's).
-- The mark is a write, so it is made only about once a second; and where memory is full, not at all.
local asked = redis.call('PTTL', KEYS[3])
if ARGV[2] == '1' and asked < 1000 then
  redis.pcall('SET', KEYS[3], '1', 'PX', 2000)
end
asked = (ARGV[2] == '1' or asked > 0) and 1 or 0
local keeper = redis.pcall('GET', KEYS[2])
-- What is no string is not ours.
keeper = type(keeper) == 'string' and keeper or ''
local view = redis.pcall('HMGET', KEYS[1], 'seq', 'read_at', 'stamp', 'view', 'posted')
-- Nor is what is not a hash, or has no end.
local life = redis.call('PTTL', KEYS[1])
if view.err or life <= 0 or not (view[1] and view[2] and view[3] and view[4]) then
  return {asked, keeper, -1, 0, false, false, false, false}
end
local time = redis.call('TIME')
local age = time[1] * 1000 + math.floor(time[2] / 1000) - (tonumber(view[5] or '') or 0)
local text = view[3] ~= ARGV[1] and view[4]
return {asked, keeper, life, age, view[1], view[2], view[3], text}
