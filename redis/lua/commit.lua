-- From here on a large Push happens, whoever does it. ARGV[2] is how much of it there must be.
local key = P .. 'stage:' .. ARGV[1]
if call('LLEN', key) ~= tonumber(ARGV[2]) then
	return redis.error_reply('GONE pieces of it are missing')
end
call('PERSIST', key)
call('ZADD', P .. 'stages', now, ARGV[1])
return {}
