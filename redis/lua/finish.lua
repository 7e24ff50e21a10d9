-- ARGV: of each end its ID, then epoch, state, time, result and error, packed. Returns which are stale.
local ids = {}
for i, arg in ipairs(ARGV) do
	ids[i] = sub(arg, 1, 16)
end
load(ids)
local stale = {}
for i, arg in ipairs(ARGV) do
	local j = loaded[ids[i]]
	local epoch, state, at, result, why = unpick('>I8BI8I4c0I4c0', arg, 17)
	if j and j.state == STARTED and j.epoch == epoch then
		finish(j, state, at, result, why)
	else
		local known = false
		local said = pack('>I8B', epoch, state)
		for k = 1, j and #j.said or 0, 9 do
			known = known or sub(j.said, k, k + 8) == said
		end
		if not known then
			stale[#stale + 1] = i
		end
	end
end
flush()
return {stale, names}
