-- Posts the view of one event, unless a newer one hangs there, and says who is to keep it fresh.
-- KEYS: the view, who keeps it fresh, the mark that somebody asked, the channel of news.
-- ARGV: seq, read_at, the text, its life in ms, the longest life in ms, who posts ('s:…' sells units, 'r:…' only looks), how
-- long he keeps it fresh in ms, and which time it was here at least, in ms, when he sent this (0: he does not know).
-- Answers: 1 where it is on him to keep it fresh, 1 where somebody asked lately, and the time in ms.
-- A Redis that hung does late what it was told long ago. What has lapsed on the way is not posted, nor what may have.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = tonumber(ARGV[4]) - math.max(0, now - tonumber(ARGV[8]))
if left <= 0 then
  return {0, redis.call('EXISTS', KEYS[3]), now}
end
local seq, read_at = tonumber(ARGV[1]), tonumber(ARGV[2])
local old = redis.pcall('HMGET', KEYS[1], 'seq', 'read_at', 'view')
local life = redis.call('PTTL', KEYS[1])
local old_seq = not old.err and tonumber(old[1] or '')
local old_read_at = not old.err and tonumber(old[2] or '')
if old.err or life > tonumber(ARGV[5]) or life == -1 or not (old_seq and old_read_at) then
  -- Nothing, or nothing of ours.
  redis.call('DEL', KEYS[1])
  old, old_seq, old_read_at = {}, -1, -1
end
if seq > old_seq or (seq == old_seq and read_at >= old_read_at) then
  if seq == old_seq and old[3] == ARGV[3] then
    redis.call('HSET', KEYS[1], 'read_at', ARGV[2], 'posted', now)
  else
    redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'read_at', ARGV[2], 'stamp', ARGV[1] .. '-' .. ARGV[2], 'view', ARGV[3],
      'posted', now)
    redis.pcall('SPUBLISH', KEYS[4], ARGV[1])
  end
  redis.call('PEXPIRE', KEYS[1], left)
end
local keeper = redis.pcall('GET', KEYS[2])
local garbage = type(keeper) == 'table' or (keeper and redis.call('PTTL', KEYS[2]) == -1)
local sells = string.sub(ARGV[6], 1, 2) == 's:'
local keeps = 0
-- Nobody (of ours), he himself, or one who only looks where he sells.
if garbage or not keeper or string.sub(keeper, 3) == string.sub(ARGV[6], 3)
    or (sells and string.sub(keeper, 1, 2) == 'r:') then
  redis.call('SET', KEYS[2], ARGV[6], 'PX', ARGV[7])
  keeps = 1
end
return {keeps, redis.call('EXISTS', KEYS[3]), now}
