-- ARGV: of each lease its name, token and owner.
for i = 1, #ARGV, 3 do
	if holds(ARGV[i], ARGV[i + 1], ARGV[i + 2]) then
		call('HSET', P .. 'lease', ARGV[i], ARGV[i + 1] .. now8 .. ARGV[i + 2])
	end
end
return {}
