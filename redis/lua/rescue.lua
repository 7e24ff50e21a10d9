-- ARGV: the lease, the grace of a cancel, and how many at most. Returns the jobs, whether there may be
-- more, and large pushes that nobody ends.
if not holds(ARGV[1], ARGV[2], ARGV[3]) then
	return redis.error_reply(lost)
end
local grace, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local ids = {}
for _, name in ipairs(call('ZRANGEBYSCORE', P .. 'lives', '-inf', now, 'LIMIT', 0, 100)) do
	local mine = {}
	for i, claim in ipairs(call('SMEMBERS', P .. 'own:' .. name)) do
		mine[i] = sub(claim, 1, 16)
	end
	load(mine)
	for _, id in ipairs(mine) do
		local j = loaded[id]
		if #ids < most and j and j.state == STARTED and j.owner == name then
			rescue(j, 'owner ' .. name .. ' was lost')
			ids[#ids + 1] = id
		end
	end
	if #ids >= most then
		break
	end
	call('ZREM', P .. 'lives', name)
	call('ZADD', P .. 'lost', owner_of(name).ends, name)
end
local late = call('ZRANGEBYSCORE', P .. 'told', '-inf', now - grace, 'LIMIT', 0, math.max(most - #ids, 0))
load(late)
for _, id in ipairs(late) do
	local j = loaded[id]
	if j and j.state == STARTED then
		rescue(j, 'did not end when it was told to')
		ids[#ids + 1] = id
	else
		call('ZREM', P .. 'told', id)
	end
end
flush()
local stages = call('ZRANGEBYSCORE', P .. 'stages', '-inf', now - 10000000)
return {rows(ids), names, #ids >= most and 1 or 0, stages, now}
