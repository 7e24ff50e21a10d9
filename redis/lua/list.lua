-- ARGV: below which ID as ZREVRANGEBYLEX has it, how many, then sorted sets of IDs. Returns the newest of
-- each of these.
local ids = {}
for i = 3, #ARGV do
	for _, id in ipairs(call('ZREVRANGEBYLEX', P .. ARGV[i], ARGV[1], '-', 'LIMIT', 0, ARGV[2])) do
		ids[#ids + 1] = id
	end
end
return {rows(ids), now}
