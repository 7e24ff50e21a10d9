-- ARGV: owner, for how long it lives, then each claim that it holds: ID and epoch.
local name, ttl = ARGV[1], tonumber(ARGV[2])
local o = owner_of(name)
if o and o.ends <= now then
	return redis.error_reply(lost)
end
o = {ends = now + ttl, beaten = now, beats = o and o.beats + 1 or 1}
owners[name] = o
call('HSET', P .. 'owner', name, pack('>I8I8I4', o.ends, o.beaten, o.beats))
call('ZADD', P .. 'lives', o.ends, name)

local own = {}
for _, claim in ipairs(call('SMEMBERS', P .. 'own:' .. name)) do
	own[sub(claim, 1, 16)] = claim
end

-- The claims that are not held, and older than two beats, are those whose answer never came.
local gone, ids, known = {}, {}, {}
for i = 3, #ARGV do
	local id = sub(ARGV[i], 1, 16)
	if own[id] and sub(own[id], 1, 24) == ARGV[i] then
		known[id] = true
		ids[#ids + 1] = id
	else
		gone[#gone + 1] = i - 2
	end
end
local unheard = {}
for id, claim in pairs(own) do
	if not known[id] and o.beats - unpick('>I4', claim, 25) >= 2 then
		unheard[#unheard + 1] = id
	end
end
load(unheard)
for _, id in ipairs(unheard) do
	local j = loaded[id]
	if j and j.state == STARTED then
		finish(j, PENDING, 0, '', '', true)
	end
end

local told = {}
if #ids > 0 and call('ZCARD', P .. 'told') > 0 then
	local asked = {}
	for i = 1, #ids, 4000 do
		local part = {unpack(ids, i, math.min(i + 3999, #ids))}
		for k, at in ipairs(call('ZMSCORE', P .. 'told', unpack(part))) do
			if at then
				asked[#asked + 1] = part[k]
			end
		end
	end
	load(asked)
	for _, id in ipairs(asked) do
		told[#told + 1] = id
		told[#told + 1] = loaded[id].cancel
	end
end
flush()
return {gone, told, names}
