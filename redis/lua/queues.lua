-- ARGV[1] is 1 if what is due may be made ready, then queues. Of each it returns its name, whether it is
-- paused, how many are held, scheduled and started, when the oldest that is ready was due, and how many
-- are ready of each priority.
local held_of, ready_of, oldest

-- tally counts the members of a sorted set by priority.
local function tally(key)
	local first = call('ZRANGEBYLEX', key, '-', '+', 'LIMIT', 0, 1)[1]
	while first do
		local prio = sub(first, 1, 8)
		local behind = '(' .. prio .. string.rep('\255', 25)
		ready_of[prio] = (ready_of[prio] or 0) + call('ZLEXCOUNT', key, '[' .. prio, behind)
		local at = unpick('>I8', first, 9)
		oldest = oldest and math.min(oldest, at) or at
		first = call('ZRANGEBYLEX', key, behind, '+', 'LIMIT', 0, 1)[1]
	end
end

local function lanes_of(queue)
	for _, lane in ipairs(call('SMEMBERS', P .. 'lanes:' .. queue)) do
		local placed = call('HGET', P .. 'placed', lane)
		if placed then
			local prio = sub(placed, 1, 8)
			ready_of[prio] = ready_of[prio] - 1
			tally(P .. 'lane:' .. lane)
		else
			held_of = held_of + call('ZCARD', P .. 'lane:' .. lane)
		end
	end
end

local all = {}
if ARGV[1] == '1' then
	quicken()
end
for i = 2, #ARGV do
	local queue = ARGV[i]
	held_of, ready_of, oldest = 0, {}, nil
	if ARGV[1] == '1' then
		promote(queue)
	end
	tally(P .. 'ready:' .. queue)
	lanes_of(queue)
	local paused = call('SISMEMBER', P .. 'paused', queue)
	local later = call('ZCARD', P .. 'later:' .. queue)
	local started = tonumber(call('HGET', P .. 'started', queue) or 0)
	local ready = {}
	for prio, n in pairs(ready_of) do
		ready[#ready + 1], ready[#ready + 2] = prio, n
	end
	if held_of + later + started + paused == 0 and #ready == 0 and ARGV[1] == '1' then
		call('SREM', P .. 'queues', queue)
		call('HDEL', P .. 'started', queue)
	end
	all[#all + 1] = {queue, paused, held_of, later, started, oldest or 0, ready}
end
return {all, names}
