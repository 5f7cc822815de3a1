-- What hangs on the board of one event.
-- KEYS: the view, who keeps it fresh, the mark that somebody asked. ARGV: the stamp of the text that the caller has already.
-- Answers: its remaining life in ms (negative: there is none), seq, read_at, stamp, the text (nil: the caller's), and whether
-- somebody keeps it fresh.
-- The mark is a write, so it is made only about once a second; and where memory is full, not at all.
if redis.call('PTTL', KEYS[3]) < 1000 then
  redis.pcall('SET', KEYS[3], '1', 'PX', 2000)
end
local kept = redis.call('EXISTS', KEYS[2])
local view = redis.pcall('HMGET', KEYS[1], 'seq', 'read_at', 'stamp', 'view')
-- What is not a hash, or has no end, is not ours.
local life = redis.call('PTTL', KEYS[1])
if view.err or life <= 0 or not (view[1] and view[2] and view[3] and view[4]) then
  return {-1, false, false, false, false, kept}
end
if view[3] == ARGV[1] then
  return {life, view[1], view[2], view[3], false, kept}
end
return {life, view[1], view[2], view[3], view[4], kept}
