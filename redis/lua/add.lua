-- newer compares IDs by their bytes: Lua's own order of strings is that of the server's locale.
local function newer(a, b)
	local a1, a2, a3 = unpick('>I6I6I4', a)
	local b1, b2, b3 = unpick('>I6I6I4', b)
	if a1 ~= b1 then
		return a1 > b1
	end
	return a2 > b2 or a2 == b2 and a3 > b3
end

-- run_of counts a new job among the runs of its scraper.
local function run_of(id, m)
	call('ZADD', P .. 'live:' .. m.scraper, 0, id)
	local kept = call('HGET', P .. 'keep', m.scraper)
	if not kept or newer(id, sub(kept, 1, 16)) then
		call('HSET', P .. 'keep', m.scraper, id .. pack('>I4', m.keep))
		crowded(m.scraper, m.keep)
	end
end

-- kept_out says whether a key of a new job is another's.
local function kept_out(m)
	return m.unique and call('HEXISTS', P .. 'unique', m.unique) == 1 or
		m.waiting and call('HEXISTS', P .. 'waiting', m.waiting) == 1
end

-- push adds jobs, each of which is two of args from the given one on: its place, with 0 as the time
-- of what is to run at once, and the rest of its blob. It returns the IDs that others keep out.
local function push(args, from, to)
	local ids, refused, blobs, added, queues = {}, {}, {}, {}, {}
	for i = from, to, 2 do
		ids[#ids + 1] = sub(args[i], 17)
	end
	-- IDs are seldom known, and that they are not is learnt while they are added.
	local known, before = {}, call('ZCARD', P .. 'ids')
	local order = {}
	for i, id in ipairs(ids) do
		order[2 * i - 1], order[2 * i] = '0', id
	end
	many('ZADD', P .. 'ids', order)
	if call('ZCARD', P .. 'ids') - before < #ids then
		known = fetch(P .. 'job', ids)
	end
	for i, id in ipairs(ids) do
		local member, rest = args[from + 2 * i - 2], args[from + 2 * i - 1]
		local m = meta_of(unpick('>I2c0', rest))
		local news = not (known[i] or added[id])
		local fired = news and m.fire and call('HEXISTS', P .. 'fired', m.fire) == 1
		if news and (fired or kept_out(m)) then
			call('ZREM', P .. 'ids', id)
			if not fired then
				refused[#refused + 1] = id
			end
		elseif news then
			local at8 = sub(member, 9, 16)
			if at8 == zero8 then
				at8 = now8
				member = sub(member, 1, 8) .. now8 .. id
			end
			added[id] = true
			loaded[id] = nil
			blobs[#blobs + 1] = id
			blobs[#blobs + 1] = now8 .. sub(member, 1, 16) .. rest
			if m.unique then
				call('HSET', P .. 'unique', m.unique, id)
			end
			if m.waiting then
				call('HSET', P .. 'waiting', m.waiting, id)
			end
			if m.fire then
				call('HSET', P .. 'fired', m.fire, '')
			end
			if m.scraper then
				run_of(id, m)
			end
			queues[m.queue] = true
			place(member, unpick('>I8', at8), m)
		end
	end
	many('HSET', P .. 'job', blobs)
	for queue in pairs(queues) do
		call('SADD', P .. 'queues', queue)
	end
	return refused
end
