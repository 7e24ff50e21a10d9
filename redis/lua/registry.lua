-- ARGV: kind, PUT or DELETE, then of each thing its ID, version, origin and the rest. A thing is kept as
-- its version, 1 if it is gone, its origin, and the rest.
local kind, gone = P .. ARGV[1], ARGV[2] == 'DELETE'
local ids, next = {}, {}
for i = 3, #ARGV, 4 do
	ids[#ids + 1] = ARGV[i]
end
local stored = fetch(kind, ids)
for i, id in ipairs(ids) do
	local version, origin = tonumber(ARGV[4 * i]), ARGV[4 * i + 1]
	local old = next[id]
	if not old then
		old = {version = 0, gone = 1, origin = ''}
		if stored[i] then
			old.version, old.gone, old.origin = unpick('>I8BI2c0', stored[i])
		end
	end
	local live = old.gone == 0
	if live or not gone then
		if version ~= (live and old.version or 0) then
			return redis.error_reply('CONFLICT ' .. i)
		end
		if live and old.origin ~= '' and origin == '' then
			return redis.error_reply('OWNED ' .. old.origin)
		end
		next[id] = {version = old.version + 1, gone = gone and 1 or 0, origin = origin, rest = gone and '' or ARGV[4 * i + 2]}
	end
end
local rev = math.max(tonumber(call('GET', kind .. ':rev') or 0) + 1, now)
local any = false
for id, thing in pairs(next) do
	any = true
	call('HSET', kind, id, pack('>I8BI2c0', thing.version, thing.gone, #thing.origin, thing.origin) .. thing.rest)
	call('ZADD', kind .. ':changes', rev, id)
	if gone then
		call('ZREM', kind .. ':ids', id)
	else
		call('ZADD', kind .. ':ids', 0, id)
	end
end
if any then
	call('SET', kind .. ':rev', string.format('%.0f', rev))
	tell('registry:' .. ARGV[1])
end
return any and 1 or 0
