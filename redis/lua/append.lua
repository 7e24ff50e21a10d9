-- ARGV: of each entry its topic, and its time with its data behind; 0 is the present time.
local topics = {}
local zero8 = string.rep('\0', 8)
for i = 1, #ARGV, 2 do
	local entry = ARGV[i + 1]
	if sub(entry, 1, 8) == zero8 then
		entry = now8 .. sub(entry, 9)
	end
	call('RPUSH', P .. 'feed:' .. ARGV[i], entry)
	topics[ARGV[i]] = true
end
for topic in pairs(topics) do
	tell('feed:' .. topic)
end
return {}
