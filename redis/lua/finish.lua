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

local stale, quick = {}, {}
-- Of the last claim that became history: what its record began with before and since, how it was said to
-- end, and as what its owner's set had it. Jobs that were claimed together and end alike share all this.
local old, new, old_rest, state, claim, own
for i, arg in ipairs(ARGV) do
	local id, rec, rest = ids[i], recs[i], sub(arg, 17)
	if rec and old and rest == old_rest and sub(rec, 1, #old) == old and not (quick[id] or loaded[id]) then
		local m = meta_of(sub(rec, #old + 3))
		quick[id] = new .. sub(rec, #old + 1)
		written[#written + 1], written[#written + 2] = id, quick[id]
		drop('SREM', own, id .. claim)
		count(m.queue, -1)
		vacate(m)
		shelve(id, state, m)
	else
		local j = loaded[id] or rec and parse(id, quick[id] or rec)
		local epoch, as, at, result, why = unpick('>I8BI8I4c0I4c0', rest)
		loaded[id] = j
		if j and j.state == STARTED and j.epoch == epoch then
			claim, own, state = pack('>I8I4', j.epoch, j.beat), P .. 'own:' .. j.owner, as
			finish(j, as, at, result, why)
			old = false
			if as > RETRYING and j.cancel == '' then
				old, new, old_rest = sub(rec, 1, -#j.meta - 3), sub(record(j), 1, -#j.meta - 3), rest
			end
		elseif not (j and said_before(j, epoch, as)) then
			stale[#stale + 1] = i
		end
	end
end
flush()
return {stale, names}
