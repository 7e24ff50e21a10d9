-- ARGV: owner, for how long, then names. A lease is its token, its end and its owner.
local owner, ends, held = ARGV[1], now + tonumber(ARGV[2]), {}
local names = {}
for i = 3, #ARGV do
	names[#names + 1] = ARGV[i]
end
for i, lease in ipairs(fetch(P .. 'lease', names)) do
	local token, live = 0, false
	if lease then
		token = unpick('>I8', lease)
		live = unpick('>I8', lease, 9) > now
	end
	if not live or sub(lease, 17) == owner then
		if not live then
			token = math.max(token + 1, now)
		end
		call('HSET', P .. 'lease', names[i], pack('>I8I8', token, ends) .. owner)
		if not lease then
			call('ZADD', P .. 'leases', 0, names[i])
		end
		held[#held + 1], held[#held + 2] = names[i], token
	end
end
return {held, ends, now}
