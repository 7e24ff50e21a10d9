-- ARGV: kind, a revision. Returns what changed since, and the present revision. One that is not yet comes
-- from another store: all is news to it.
local kind, since = P .. ARGV[1], tonumber(ARGV[2])
local rev = tonumber(call('GET', kind .. ':rev') or 0)
local all = {}
if since ~= rev then
	if since > rev then
		since = 0
	end
	local ids = call('ZRANGEBYSCORE', kind .. ':changes', '(' .. string.format('%.0f', since), '+inf')
	local things = fetch(kind, ids)
	for i, id in ipairs(ids) do
		all[2 * i - 1], all[2 * i] = id, things[i]
	end
end
return {all, rev}
