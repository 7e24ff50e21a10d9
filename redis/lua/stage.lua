-- ARGV[1] names a large Push, of which a piece is put aside. What is never committed expires.
local key = P .. 'stage:' .. ARGV[1]
for i = 2, #ARGV, 4000 do
	call('RPUSH', key, unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
call('EXPIRE', key, 3600)
return {}
