-- ARGV: the lease, before when, the first ID of that time, and how many at most. Returns whether there may
-- be more.
if not holds(ARGV[1], ARGV[2], ARGV[3]) then
	return redis.error_reply(lost)
end
local before, first, most = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local hex = {}
for i = 0, 255 do
	hex[string.char(i)] = string.format('%02x', i)
end

-- topics are those of a job, by the text of its ID.
local function topics(id)
	local text = string.gsub(id, '.', hex)
	text = sub(text, 1, 8) .. '-' .. sub(text, 9, 12) .. '-' .. sub(text, 13, 16) .. '-' .. sub(text, 17, 20) .. '-' .. sub(text, 21)
	return P .. 'feed:job/' .. text, P .. 'feed:job/' .. text .. '/items'
end

local dropped = 0
local function retire(ids)
	if #ids == 0 then
		return
	end
	load(ids)
	local feeds = {}
	for _, id in ipairs(ids) do
		local j = loaded[id]
		if j then
			local m = j.m
			if m.fire then
				drop('HDEL', P .. 'fired', m.fire)
			end
			if m.scraper then
				call('ZREM', P .. 'done:' .. m.scraper, id)
			end
			if j.state ~= SUCCEEDED then
				call('ZREM', P .. 'ended:' .. j.state, id)
			end
		end
		feeds[#feeds + 1], feeds[#feeds + 2] = topics(id)
	end
	many('HDEL', P .. 'job', ids)
	many('HDEL', P .. 'at', ids)
	many('ZREM', P .. 'ids', ids)
	call('UNLINK', unpack(feeds))
	dropped = dropped + #ids
end

-- old retires what ended before among the IDs that are as old, from where the call before came to, and
-- says whether there are more of them. Those that it passes live, or did so for long.
local function old()
	local walk = call('GET', P .. 'walk')
	local ids = call('ZRANGEBYLEX', P .. 'ids', walk and '(' .. walk or '-', '(' .. first, 'LIMIT', 0, most)
	load(ids)
	local some = {}
	for _, id in ipairs(ids) do
		local j = loaded[id]
		if j and j.state > RETRYING and j.finished < before then
			some[#some + 1] = id
		end
	end
	retire(some)
	if #ids < most then
		call('DEL', P .. 'walk')
		return false
	end
	call('SET', P .. 'walk', ids[#ids])
	return true
end

-- newer compares IDs by their bytes: Lua's own order of strings is that of the server's locale.
local function newer(a, b)
	local a1, a2, a3 = unpick('>I6I6I4', a)
	local b1, b2, b3 = unpick('>I6I6I4', b)
	if a1 ~= b1 then
		return a1 > b1
	end
	return a2 > b2 or a2 == b2 and a3 > b3
end

-- keep_of returns how many runs of a scraper its last job keeps; 0 is all.
local function keep_of(scraper)
	local a = call('ZRANGE', P .. 'live:' .. scraper, -1, -1)[1]
	local b = call('ZRANGE', P .. 'done:' .. scraper, -1, -1)[1]
	local last = (not b or a and newer(a, b)) and a or b
	if not last then
		return 0
	end
	load({last})
	return loaded[last] and loaded[last].m.keep or 0
end

local left = old()
for _, scraper in ipairs(call('SRANDMEMBER', P .. 'over', 100)) do
	local done, keep = P .. 'done:' .. scraper, keep_of(scraper)
	local extra = keep > 0 and call('ZCARD', done) - keep or 0
	local some = math.min(extra, math.max(most - dropped, 0))
	if some > 0 then
		retire(call('ZRANGE', done, 0, some - 1))
	end
	if some >= extra then
		call('SREM', P .. 'over', scraper)
	else
		left = true
	end
end
flush()

local dead = call('ZRANGEBYSCORE', P .. 'lost', '-inf', '(' .. ARGV[4], 'LIMIT', 0, 1000)
many('HDEL', P .. 'owner', dead)
many('ZREM', P .. 'lost', dead)
call('ZREMRANGEBYSCORE', P .. 'rate', '-inf', now)
return (left or call('SCARD', P .. 'over') > 0) and 1 or 0
