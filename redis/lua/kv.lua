-- ARGV: PUT or DELETE, then of each value its key, version and end, and data. A value is kept as its
-- version, its end and its data. Versions are counted over all keys, so that a key whose value is gone
-- leaves nothing behind and still gets none of its old versions again.
local keys, seen, gone = {}, {}, ARGV[1] == 'DELETE'
for i = 2, #ARGV, 4 do
	keys[#keys + 1] = ARGV[i]
end
local olds = fetch(P .. 'kv', keys)
local zero8 = string.rep('\0', 8)
for i, key in ipairs(keys) do
	local old, version8 = olds[i], ARGV[4 * i - 1]
	local ends = old and unpick('>I8', old, 9)
	local there = old and (ends == 0 or ends > now)
	local skip = gone and (not there or seen[key])
	if not skip then
		if seen[key] or version8 ~= (there and sub(old, 1, 8) or zero8) then
			return redis.error_reply('CONFLICT ' .. i)
		end
		seen[key] = true
	end
end

local function drop_value(key)
	call('HDEL', P .. 'kv', key)
	call('ZREM', P .. 'kvkeys', key)
	call('ZREM', P .. 'kvends', key)
end

local version = tonumber(call('GET', P .. 'kvversion') or 0)
for i, key in ipairs(keys) do
	if gone then
		if seen[key] then
			drop_value(key)
		end
	else
		version = math.max(version + 1, now)
		local ends8 = ARGV[4 * i]
		call('HSET', P .. 'kv', key, pack('>I8', version) .. ends8 .. ARGV[4 * i + 1])
		call('ZADD', P .. 'kvkeys', 0, key)
		if ends8 == zero8 then
			call('ZREM', P .. 'kvends', key)
		else
			call('ZADD', P .. 'kvends', unpick('>I8', ends8), key)
		end
	end
end
if not gone then
	call('SET', P .. 'kvversion', string.format('%.0f', version))
end
for _, key in ipairs(call('ZRANGEBYSCORE', P .. 'kvends', '-inf', now, 'LIMIT', 0, 100)) do
	drop_value(key)
end
return {}
