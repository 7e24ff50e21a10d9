-- What all scripts share. KEYS[1] is the prefix of all keys; the time is the server's, in microseconds.
local call, pack, unpick, sub = redis.call, struct.pack, struct.unpack, string.sub
local P = KEYS[1] .. ':'
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now8 = pack('>I8', now)

-- many runs a command with args, of which there may be more than Lua's stack holds.
local function many(command, key, args)
	for i = 1, #args, 4000 do
		call(command, key, unpack(args, i, math.min(i + 3999, #args)))
	end
end

-- fetch returns the fields of a hash, false where there is none.
local function fetch(key, fields)
	if #fields == 0 then
		return {}
	end
	if #fields <= 4000 then
		return call('HMGET', key, unpack(fields))
	end
	local all = {}
	for i = 1, #fields, 4000 do
		for _, value in ipairs(call('HMGET', key, unpack(fields, i, math.min(i + 3999, #fields)))) do
			all[#all + 1] = value
		end
	end
	return all
end

-- holds says whether a lease, as Go packed it, is held.
local function holds(name, token8, owner)
	local lease = call('HGET', P .. 'lease', name)
	return lease and sub(lease, 1, 8) == token8 and sub(lease, 17) == owner and unpick('>I8', lease, 9) > now
end

local lost = 'LEASELOST'

-- The queues in which something became ready, or due sooner than all else.
local woken, names = {}, {}
local function wake(queue)
	if not woken[queue] then
		woken[queue] = true
		names[#names + 1] = queue
	end
end
