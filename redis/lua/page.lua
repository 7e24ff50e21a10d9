-- A page of a hash by the sorted set of its fields. ARGV: set, hash, from, to, how many.
local fields = call('ZRANGEBYLEX', P .. ARGV[1], ARGV[3], ARGV[4], 'LIMIT', 0, ARGV[5])
local values = fetch(P .. ARGV[2], fields)
local all = {}
for i, field in ipairs(fields) do
	if values[i] then
		all[#all + 1], all[#all + 2] = field, values[i]
	end
end
return {all, now}
