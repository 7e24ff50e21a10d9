-- What all scripts share. KEYS[1] is the prefix of all keys; the time is the server's, in microseconds.
local call, pack, unpick, sub = redis.call, struct.pack, struct.unpack, string.sub
local P = KEYS[1] .. ':'
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now8 = pack('>I8', now)

-- Behind the arguments of a script stand who calls, and the queues of which others were told lately.
local quiet = table.remove(ARGV)
local me = table.remove(ARGV)

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

-- tell lets all who wait for a room look for what is new in it.
local function tell(room)
	call('PUBLISH', P .. 'wake:' .. room, me)
end

-- The queues in which something became ready, or due sooner than all else: with + those of which others
-- are told by now, with - those of which they are still to be told.
local woken, names = {}, {}
local function wake(queue)
	if woken[queue] then
		return
	end
	woken[queue] = true
	if string.find(quiet, '\0' .. queue .. '\0', 1, true) then
		names[#names + 1] = '-' .. queue
	else
		names[#names + 1] = '+' .. queue
		tell('queue:' .. queue)
	end
end
