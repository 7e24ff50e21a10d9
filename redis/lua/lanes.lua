-- A lane holds the pending jobs of one queue that the same limits hold back: all of them may start, or
-- none. While they may, the first of them stands among the ready of the queue, with the lane behind its
-- place. So what is held costs a claim nothing, however much of it there is.

-- A meta is what the store decides by of a job: see job.go.
local metas = {}
local function meta_of(packed)
	local m = metas[packed]
	if not m then
		local f = cmsgpack.unpack(packed)
		m = {
			queue = f[1], max = f[2], unique = f[3], waiting = f[4], scraper = f[5], keep = f[6] or 0, fire = f[7],
			lane = f[8] or '', limit = f[9], rate = f[10], every = f[11],
		}
		metas[packed] = m
	end
	return m
end

local lanes = {}
local function lane_of(lane)
	local l = lanes[lane]
	if not l then
		local f = cmsgpack.unpack(lane)
		l = {queue = f[1], limit = f[2], most = f[3] or 0, rate = f[4], every = f[5] or 0, burst = f[6] or 1}
		lanes[lane] = l
	end
	return l
end

-- held says whether the limit of a lane is reached, and until when its rate is.
local function held(l)
	local full, at = false, 0
	if l.most > 0 then
		full = tonumber(call('HGET', P .. 'limit', l.limit) or 0) >= l.most
	end
	if l.every > 0 then
		at = tonumber(call('ZSCORE', P .. 'rate', l.rate) or 0) - (l.burst - 1) * l.every
	end
	return full, at
end

local function open(lane)
	local l = lane_of(lane)
	call('SADD', P .. 'lanes:' .. l.queue, lane)
	if l.limit then
		call('SADD', P .. 'limited:' .. l.limit, lane)
	end
	if l.rate then
		call('SADD', P .. 'rated:' .. l.rate, lane)
	end
end

local function shut(lane, l)
	call('SREM', P .. 'lanes:' .. l.queue, lane)
	if l.limit then
		call('SREM', P .. 'limited:' .. l.limit, lane)
	end
	if l.rate then
		call('SREM', P .. 'rated:' .. l.rate, lane)
	end
end

-- settle puts a lane where it belongs by now.
local function settle(lane)
	local l = lane_of(lane)
	local head = call('ZRANGE', P .. 'lane:' .. lane, 0, 0)[1] or false
	local placed = call('HGET', P .. 'placed', lane)
	local full, at = held(l)
	local want = not full and at <= now and head
	if placed ~= want then
		local ready = P .. 'ready:' .. l.queue
		if placed then
			call('ZREM', ready, placed .. lane)
		end
		if want then
			call('ZADD', ready, 0, want .. lane)
			call('HSET', P .. 'placed', lane, want)
		else
			call('HDEL', P .. 'placed', lane)
		end
		if want and not placed then
			wake(l.queue)
		end
	end
	if not head then
		shut(lane, l)
	end
	if head and not full and at > now then
		call('ZADD', P .. 'slow', at, lane)
	elseif l.every > 0 then
		call('ZREM', P .. 'slow', lane)
	end
end

local touched, unsettled = {}, {}
-- touch lets a lane be settled when all is written.
local function touch(lane)
	if not touched[lane] then
		touched[lane] = true
		unsettled[#unsettled + 1] = lane
	end
end

local function settle_all()
	local all = unsettled
	touched, unsettled = {}, {}
	for _, lane in ipairs(all) do
		settle(lane)
	end
end

-- occupy counts n starts against the limits of a lane.
local function occupy(l, n)
	if l.limit then
		call('HINCRBY', P .. 'limit', l.limit, n)
		for _, lane in ipairs(call('SMEMBERS', P .. 'limited:' .. l.limit)) do
			settle(lane)
		end
	end
	if l.rate then
		local at = math.max(tonumber(call('ZSCORE', P .. 'rate', l.rate) or 0), now)
		call('ZADD', P .. 'rate', at + n * l.every, l.rate)
		for _, lane in ipairs(call('SMEMBERS', P .. 'rated:' .. l.rate)) do
			settle(lane)
		end
	end
end

local freed = {} -- by key of a limit, how many are started no more
-- vacate frees the slot of a job that is started no more.
local function vacate(m)
	if m.limit then
		freed[m.limit] = (freed[m.limit] or 0) + 1
	end
end

local function free_all()
	for key, n in pairs(freed) do
		if call('HINCRBY', P .. 'limit', key, -n) <= 0 then
			call('HDEL', P .. 'limit', key)
		end
		for _, lane in ipairs(call('SMEMBERS', P .. 'limited:' .. key)) do
			touch(lane)
		end
	end
	freed = {}
end

-- Members to be added to sorted sets of one score, by key.
local adds, kinds = {}, {}
local function add(key, member)
	local list = adds[key]
	if not list then
		list = {}
		adds[key] = list
		kinds[#kinds + 1] = key
	end
	list[#list + 1] = '0'
	list[#list + 1] = member
end

local function add_all()
	for _, key in ipairs(kinds) do
		many('ZADD', key, adds[key])
	end
	adds, kinds = {}, {}
end

-- The earliest time of those that became later, by queue.
local soonest = {}

-- place puts a job where it waits for its time or for a worker. Its place is its priority, time and ID.
local function place(member, at, m)
	local queue, lane = m.queue, m.lane
	if at > now then
		local key = P .. 'later:' .. queue
		local first = soonest[queue] or tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 1e300)
		if at < first then
			wake(queue)
		end
		soonest[queue] = math.min(first, at)
		call('ZADD', key, at, member .. lane)
	elseif lane == '' then
		add(P .. 'ready:' .. queue, member)
		wake(queue)
	else
		add(P .. 'lane:' .. lane, member)
		if not touched[lane] then
			open(lane)
			touch(lane)
		end
	end
end

-- unplace takes a job out of where it waits.
local function unplace(member, m)
	if call('ZREM', P .. 'later:' .. m.queue, member .. m.lane) == 1 then
		return
	end
	if m.lane == '' then
		call('ZREM', P .. 'ready:' .. m.queue, member)
		return
	end
	call('ZREM', P .. 'lane:' .. m.lane, member)
	touch(m.lane)
end

-- promote makes ready what time alone kept from it in a queue, and says whether there may be more: who
-- asks is not to pass over what is urgent, and nobody else to wait for long.
local function promote(queue)
	local key = P .. 'later:' .. queue
	for _ = 1, 3 do
		local due = call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 1000)
		if #due > 0 then
			call('ZREMRANGEBYRANK', key, 0, #due - 1)
			for _, member in ipairs(due) do
				place(sub(member, 1, 32), 0, {queue = queue, lane = sub(member, 33)})
			end
			add_all()
			settle_all()
		end
		if #due < 1000 then
			return false
		end
	end
	return true
end

-- quicken makes ready the lanes whose rate allows it by now.
local function quicken()
	for _, lane in ipairs(call('ZRANGEBYSCORE', P .. 'slow', '-inf', now, 'LIMIT', 0, 100)) do
		settle(lane)
	end
end
