-- reserve takes the keys of a new job, unless one of them is another's.
local function reserve(id, m)
	if m.unique and call('HSETNX', P .. 'unique', m.unique, id) == 0 then
		return false
	end
	if m.waiting and call('HSETNX', P .. 'waiting', m.waiting, id) == 0 then
		if m.unique then
			call('HDEL', P .. 'unique', m.unique)
		end
		return false
	end
	return true
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
		if news and (fired or not reserve(id, m)) then
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
			if m.fire then
				call('HSET', P .. 'fired', m.fire, '')
			end
			if m.scraper then
				add(P .. 'live:' .. m.scraper, id)
				crowd(m)
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
