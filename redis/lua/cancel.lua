-- ARGV: the reason, then IDs.
local ids = {}
for i = 2, #ARGV do
	ids[#ids + 1] = ARGV[i]
end
cancel(ARGV[1], ids)
flush()
return names
