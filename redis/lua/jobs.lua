-- Jobs as they are kept: see job.go for the layout of what is packed.
local PENDING, STARTED, RETRYING, SUCCEEDED, FAILED, DEAD, CANCELLED = 2, 3, 4, 5, 6, 7, 8
-- LAST marks that the last attempt is to be read from the rest of its job.
local LAST = 16
local RECORD = '>BI8I4I8I8I8I8I8I4I2c0I4c0I4c0I4c0I4c0I4c0I2c0'
local zero8 = string.rep('\0', 8)

-- blob_of adds to j what its blob says.
local function blob_of(j, blob)
	local _, prio, at, meta = unpick('>c8c8I8I2c0', blob)
	j.prio = prio
	return at, meta
end

-- parse returns a job: from its record, or, if it was never claimed, from its blob.
local function parse(id, rec, blob)
	local j = {id = id}
	if rec then
		j.state, j.epoch, j.attempt, j.run, j.started, j.beaten, j.finished, j.told, j.beat, j.owner, j.cancel,
			j.result, j.error, j.said, j.attempts, j.meta = unpick(RECORD, rec)
		j.state = j.state % LAST
	else
		j.run, j.meta = blob_of(j, blob)
		j.state, j.epoch, j.attempt, j.started, j.beaten, j.finished, j.told, j.beat = PENDING, 0, 0, 0, 0, 0, 0, 0
		j.owner, j.cancel, j.result, j.error, j.said, j.attempts = '', '', '', '', '', ''
	end
	j.m = meta_of(j.meta)
	return j
end

local loaded = {} -- by ID; false for what is not known

-- load reads jobs that were not read yet.
local function load(ids)
	local fresh = {}
	local recs = fetch(P .. 'at', ids)
	for i, id in ipairs(ids) do
		if loaded[id] == nil then
			if recs[i] then
				loaded[id] = parse(id, recs[i])
			else
				fresh[#fresh + 1] = id
			end
		end
	end
	local blobs = fetch(P .. 'job', fresh)
	for i, id in ipairs(fresh) do
		loaded[id] = blobs[i] and parse(id, false, blobs[i])
	end
end

local changed, order = {}, {}
-- save lets a job be written when all is decided.
local function save(j)
	if not changed[j.id] then
		changed[j.id] = true
		order[#order + 1] = j
	end
end

local function record(j)
	return pack(RECORD, j.state + (j.last and LAST or 0), j.epoch, j.attempt, j.run, j.started, j.beaten, j.finished,
		j.told, j.beat, #j.owner, j.owner, #j.cancel, j.cancel, #j.result, j.result, #j.error, j.error, #j.said, j.said,
		#j.attempts, j.attempts, #j.meta, j.meta)
end

local starts = {} -- by queue, how many more are started
local function count(queue, n)
	starts[queue] = (starts[queue] or 0) + n
end

local drops = {HDEL = {}, SREM = {}, ZREM = {}} -- by command and key, the fields or members to be dropped
local function drop(command, key, field)
	local list = drops[command][key]
	if not list then
		list = {}
		drops[command][key] = list
	end
	list[#list + 1] = field
end

-- claim_of returns what the set of an owner holds of its claim of j.
local function claim_of(j)
	return j.id .. pack('>I8I4', j.epoch, j.beat)
end

local written = {}
local crowds = {} -- metas of scrapers that may have more history than is to be kept, for Retire to look at
local function crowd(m)
	if m.scraper and m.keep > 0 then
		crowds[m.scraper] = m
	end
end

-- flush writes what was decided.
local function flush()
	for _, j in ipairs(order) do
		written[#written + 1], written[#written + 2] = j.id, record(j)
	end
	many('HSET', P .. 'at', written)
	for command, keys in pairs(drops) do
		for key, fields in pairs(keys) do
			many(command, key, fields)
		end
	end
	for queue, n in pairs(starts) do
		call('HINCRBY', P .. 'started', queue, n)
	end
	add_all()
	for _, m in pairs(crowds) do
		if call('ZCARD', P .. 'done:' .. m.scraper) > m.keep then
			call('SADD', P .. 'over', m.scraper)
		end
	end
	free_all()
	settle_all()
	crowds = {}
	changed, order, starts, written, soonest = {}, {}, {}, {}, {}
	drops = {HDEL = {}, SREM = {}, ZREM = {}}
end

local owners = {}
-- owner_of returns what is known of an owner, whether it lives or not.
local function owner_of(name)
	local o = owners[name]
	if o == nil then
		o = call('HGET', P .. 'owner', name)
		if o then
			local ends, beaten, beats = unpick('>I8I8I4', o)
			o = {ends = ends, beaten = beaten, beats = beats}
		end
		owners[name] = o
	end
	return o
end

local function release(kind, key, id)
	if key and call('HGET', P .. kind, key) == id then
		call('HDEL', P .. kind, key)
	end
end

-- shelve makes history of what is known of a job beside its record.
local function shelve(id, state, m)
	if m.unique then
		drop('HDEL', P .. 'unique', m.unique)
	end
	release('waiting', m.waiting, id)
	if m.scraper then
		drop('ZREM', P .. 'live:' .. m.scraper, id)
		add(P .. 'done:' .. m.scraper, id)
		crowd(m)
	end
	if state ~= SUCCEEDED then
		add(P .. 'ended:' .. state, id)
	end
end

-- bury makes j, which neither waits nor is owned, history.
local function bury(j, state)
	j.state, j.finished = state, now
	shelve(j.id, state, j.m)
	save(j)
end

local function place_of(j)
	if not j.prio then
		blob_of(j, call('HGET', P .. 'job', j.id))
	end
	return j.prio .. pack('>I8', j.run) .. j.id
end

-- again lets j, which nobody owns any more, run at a time.
local function again(j, at)
	j.owner, j.started, j.beaten = '', 0, 0
	j.state, j.run = RETRYING, at
	save(j)
	place(place_of(j), at, j.m)
end

-- take takes the started j from its owner.
local function take(j)
	local o = owner_of(j.owner)
	j.beaten = math.max(j.beaten, o and o.beaten or 0)
	drop('SREM', P .. 'own:' .. j.owner, claim_of(j))
	count(j.m.queue, -1)
	vacate(j.m)
	if j.cancel ~= '' then
		call('ZREM', P .. 'told', j.id)
	end
end

-- tried keeps an attempt of j that ended.
local function tried(j, epoch, owner, started, state, why)
	j.attempts = j.attempts .. pack('>I8I2c0I8I8BI4c0', epoch, #owner, owner, started, now, state, #why, why)
end

-- finish ends the claim of j as its owner says, as far as that may be: what is to end does not run
-- again, and neither does what has no attempts left. If the owner never heard of its claim, its word
-- counts no more.
local function finish(j, state, at, result, why, unheard)
	local said = unheard and j.said or sub(j.said, -891) .. pack('>I8B', j.epoch, state)
	local epoch, owner, started = j.epoch, j.owner, j.started
	local back = state == PENDING or state == RETRYING
	if back and j.cancel ~= '' then
		state = CANCELLED
	elseif state == RETRYING and j.attempt >= j.m.max then
		state = DEAD
	end
	take(j)
	j.beaten = unheard and j.beaten or now
	-- The attempt of a job that is history says no more than the job, unless an older error stays.
	j.last = state > RETRYING and (why ~= '' or j.error == '') and not unheard
	j.said = said
	j.epoch = unheard and j.epoch + 1 or j.epoch
	j.result = result ~= '' and result or j.result
	j.error = why ~= '' and why or j.error
	if state == PENDING then
		j.attempt = j.attempt - 1
		return again(j, j.run)
	end
	if not j.last then
		tried(j, epoch, owner, started, state, why)
	end
	if state == RETRYING then
		return again(j, at > 0 and at or now)
	end
	bury(j, state)
end

-- rescue ends the claim of j without its owner: it is done again at once, in its old place, if it may
-- be. What the owner says counts no more, since the epoch is another.
local function rescue(j, why)
	local epoch, owner, started = j.epoch, j.owner, j.started
	local state = PENDING
	if j.cancel ~= '' then
		state = CANCELLED
	elseif j.attempt >= j.m.max then
		state = DEAD
	end
	take(j)
	j.epoch, j.error = j.epoch + 1, why
	tried(j, epoch, owner, started, state, why)
	if state == PENDING then
		return again(j, j.run)
	end
	bury(j, state)
end

-- cancel asks live jobs to end.
local function cancel(reason, ids)
	load(ids)
	for _, id in ipairs(ids) do
		local j = loaded[id]
		if j and j.state <= RETRYING and j.cancel == '' then
			j.cancel, j.told = reason, now
			if j.state == STARTED then
				call('ZADD', P .. 'told', now, id)
				save(j)
			else
				unplace(place_of(j), j.m)
				bury(j, CANCELLED)
			end
		end
	end
end

-- terminate ends live jobs without asking their owners.
local function terminate(ids)
	load(ids)
	for _, id in ipairs(ids) do
		local j = loaded[id]
		if j and j.state == STARTED then
			if j.cancel == '' then
				j.cancel = 'terminated'
			end
			rescue(j, 'terminated')
		elseif j then
			cancel('terminated', {id})
		end
	end
end

-- rows returns jobs as Go reads them: ID, blob, record or '', and when the owner of a started one beat.
local function rows(ids)
	local all = {}
	local blobs, recs = fetch(P .. 'job', ids), fetch(P .. 'at', ids)
	for i, id in ipairs(ids) do
		if blobs[i] then
			local rec, beaten = recs[i] or '', 0
			if rec ~= '' and string.byte(rec) == STARTED then
				local o = owner_of(parse(id, rec).owner)
				beaten = o and o.beaten or 0
			end
			all[#all + 1], all[#all + 2], all[#all + 3], all[#all + 4] = id, blobs[i], rec, beaten
		end
	end
	return all
end
