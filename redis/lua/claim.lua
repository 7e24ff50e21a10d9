-- ARGV: owner, how many, then of each queue its name and how many are wanted.
local name, n = ARGV[1], tonumber(ARGV[2])
local o = owner_of(name)
if not o or o.ends <= now then
	return redis.error_reply(lost)
end

local taken = {}

-- start_lane starts jobs of a lane whose first stood first among the ready of its queue: as many as its
-- limits allow and come before what stands there now.
local function start_lane(lane, most)
	local l = lane_of(lane)
	if l.rate then
		most = 1
	elseif l.most > 0 then
		most = math.min(most, l.most - tonumber(call('HGET', P .. 'limit', l.limit) or 0))
	end
	local key = P .. 'lane:' .. lane
	local behind = call('ZRANGE', P .. 'ready:' .. l.queue, 0, 0)[1]
	local list = call('ZRANGEBYLEX', key, '-', behind and '(' .. sub(behind, 1, 32) or '+', 'LIMIT', 0, most)
	for _, member in ipairs(list) do
		taken[#taken + 1] = member
	end
	call('ZREMRANGEBYRANK', key, 0, #list - 1)
	call('HDEL', P .. 'placed', lane)
	if #list > 0 then
		occupy(l, #list)
	end
end

-- fill takes from a queue until most are taken.
local function fill(queue, most)
	local ready, look = P .. 'ready:' .. queue, most
	while #taken < most do
		local list = call('ZRANGE', ready, 0, math.min(look, most - #taken) - 1)
		local last, lane = #list, nil
		if last == 0 then
			return
		end
		for i, member in ipairs(list) do
			if #member > 32 then
				last, lane = i, sub(member, 33)
				break
			end
			taken[#taken + 1] = member
		end
		call('ZREMRANGEBYRANK', ready, 0, last - 1)
		if lane then
			start_lane(lane, most - #taken)
		end
		look = 2 * last
	end
end

quicken()
local counts, open_queues, behind = {}, {}, false
for i = 3, #ARGV, 2 do
	local queue, want, before = ARGV[i], tonumber(ARGV[i + 1]), #taken
	if call('SISMEMBER', P .. 'paused', queue) == 0 then
		open_queues[#open_queues + 1] = queue
		behind = promote(queue) or behind
		fill(queue, want > 0 and math.min(n, before + want) or n)
	end
	counts[#counts + 1] = #taken - before
end

-- Who did not get all that was wanted sleeps until the next comes due, or -1. It is 0 where more is due.
local sleep = behind and 0 or -1
if #taken < n and not behind then
	local next = tonumber(call('ZRANGE', P .. 'slow', 0, 0, 'WITHSCORES')[2] or 0)
	for _, queue in ipairs(open_queues) do
		local at = tonumber(call('ZRANGE', P .. 'later:' .. queue, 0, 0, 'WITHSCORES')[2] or 0)
		if at > 0 and (next == 0 or at < next) then
			next = at
		end
	end
	sleep = next > 0 and math.max(next - now, 0) or -1
end
if #taken == 0 then
	return {{}, counts, sleep, names}
end

local ids = {}
for i, member in ipairs(taken) do
	ids[i] = sub(member, 17, 32)
end
local blobs, recs = fetch(P .. 'job', ids), fetch(P .. 'at', ids)
local rows, own = {}, {}
local head, head8
for i, id in ipairs(ids) do
	local blob, old = blobs[i], recs[i]
	local meta = unpick('>I2c0', blob, 25)
	local m, epoch, rec = meta_of(meta), now, nil
	if old then
		local j = parse(id, old)
		epoch = math.max(j.epoch + 1, now)
		j.state, j.epoch, j.attempt, j.owner = STARTED, epoch, j.attempt + 1, name
		j.beat, j.started, j.beaten = o.beats, now, now
		rec = record(j)
	else
		-- Jobs that came together and were never claimed differ in their metas alone.
		local run8 = sub(taken[i], 9, 16)
		if run8 ~= head8 then
			local j = parse(id, false, blob)
			j.state, j.epoch, j.attempt, j.owner = STARTED, now, 1, name
			j.beat, j.started, j.beaten = o.beats, now, now
			head, head8 = sub(record(j), 1, -#meta - 3), run8
		end
		rec = head .. pack('>I2', #meta) .. meta
	end
	release('waiting', m.waiting, id)
	count(m.queue, 1)
	rows[3 * i - 2], rows[3 * i - 1], rows[3 * i] = id, blob, rec
	written[2 * i - 1], written[2 * i] = id, rec
	own[i] = id .. pack('>I8I4', epoch, o.beats)
end
many('SADD', P .. 'own:' .. name, own)
flush()
return {rows, counts, sleep, names}
