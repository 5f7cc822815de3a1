-- KEYS[1]: the number of tickets that are left. KEYS[2]: the hash of those who have one. ARGV[1]: the buyer.
-- Answers 1 where one was left and is now the buyer's, else 0.
if tonumber(redis.call('GET', KEYS[1])) <= 0 then
  return 0
end
redis.call('DECR', KEYS[1])
redis.call('HSET', KEYS[2], ARGV[1], 1)
return 1
