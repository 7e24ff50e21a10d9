-- ARGV: kind, how many, after which ID. Returns things by ID, and the revision.
local kind = P .. ARGV[1]
local ids = call('ZRANGEBYLEX', kind .. ':ids', ARGV[3], '+', 'LIMIT', 0, ARGV[2])
local things = fetch(kind, ids)
local all = {}
for i, id in ipairs(ids) do
	all[2 * i - 1], all[2 * i] = id, things[i]
end
return {all, tonumber(call('GET', kind .. ':rev') or 0)}
