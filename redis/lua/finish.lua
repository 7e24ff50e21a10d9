-- ARGV: of each end its ID, then epoch, state, time, result and error, packed. Returns which are stale.
local ids = {}
for i, arg in ipairs(ARGV) do
	ids[i] = sub(arg, 1, 16)
end
local recs = fetch(P .. 'at', ids)

-- said_before says whether j ended so before.
local function said_before(j, epoch, state)
	local said = pack('>I8B', epoch, state)
	for k = 1, #j.said, 9 do
		if sub(j.said, k, k + 8) == said then
			return true
		end
	end
	return false
end

-- plain says whether the end of j touches nothing but its record, its owner and its queue.
local function plain(j)
	local m = j.m
	return j.state == SUCCEEDED and j.cancel == '' and not (m.unique or m.waiting or m.scraper or m.limit)
end

local stale, quick = {}, {}
local old_rec, old_rest, new_rec, claim, queue, own
for i, arg in ipairs(ARGV) do
	local id, rec, rest = ids[i], recs[i], sub(arg, 17)
	if rec == old_rec and rest == old_rest and not quick[id] and not loaded[id] then
		-- Jobs that were claimed together and end alike have the same records.
		quick[id] = new_rec
		written[#written + 1], written[#written + 2] = id, new_rec
		drop('SREM', own, id .. claim)
		count(queue, -1)
	else
		local j = loaded[id] or rec and parse(id, quick[id] or rec)
		local epoch, state, at, result, why = unpick('>I8BI8I4c0I4c0', rest)
		loaded[id] = j
		if j and j.state == STARTED and j.epoch == epoch then
			claim, own, queue = pack('>I8I4', j.epoch, j.beat), P .. 'own:' .. j.owner, j.m.queue
			finish(j, state, at, result, why)
			old_rec, old_rest, new_rec = plain(j) and rec, rest, record(j)
		elseif not (j and said_before(j, epoch, state)) then
			stale[#stale + 1] = i
		end
	end
end
flush()
return {stale, names}
