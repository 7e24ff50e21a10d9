-- ARGV: the lease, the reason of cancels, then of each firing its scraper, the version and time that its
-- cursor must have, the cursor as it will be or '', its time, and how many it cancels, terminates and
-- pushes, with these behind it.
if not holds(ARGV[1], ARGV[2], ARGV[3]) then
	return redis.error_reply(lost)
end

-- move keeps a cursor: version, time, how many runs were skipped, and what Go alone reads.
local function move(scraper, cursor, at, skipped)
	if cursor == '' then
		call('HDEL', P .. 'cursor', scraper)
		call('ZREM', P .. 'cursors', scraper)
		call('ZREM', P .. 'due', scraper)
		return
	end
	local before = unpick('>I8', cursor, 17)
	call('HSET', P .. 'cursor', scraper, sub(cursor, 1, 16) .. pack('>I8', before + skipped) .. sub(cursor, 25))
	call('ZADD', P .. 'cursors', 0, scraper)
	if at == '0' then
		call('ZREM', P .. 'due', scraper)
	else
		call('ZADD', P .. 'due', at, scraper)
	end
end

local i = 5
while i <= #ARGV do
	local scraper, was, cursor, at = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
	local cancels, kills, pushes = tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5]), tonumber(ARGV[i + 6])
	i = i + 7
	local from = i
	i = i + cancels + kills + 2 * pushes
	if sub(call('HGET', P .. 'cursor', scraper) or string.rep('\0', 16), 1, 16) == was then
		local list = {}
		for k = from, from + cancels - 1 do
			list[#list + 1] = ARGV[k]
		end
		cancel(ARGV[4], list)
		list = {}
		for k = from + cancels, from + cancels + kills - 1 do
			list[#list + 1] = ARGV[k]
		end
		terminate(list)
		flush()
		local refused = push(ARGV, from + cancels + kills, i - 1)
		flush()
		move(scraper, cursor, at, #refused)
	end
end
return names
