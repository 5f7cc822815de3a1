\set owner random(1, 1000000000000)
WITH taken AS (UPDATE allocation SET held = held + 1 WHERE id = 1 AND capacity - held - sold >= 1 RETURNING id) INSERT INTO reservation (allocation_id, owner, quantity, expires_at) SELECT id, 'owner-' || :owner::bigint, 1, now() + interval '10 minutes' FROM taken;
