-- ARGV: the lease, before when, and how many at most. Returns whether there may be more.
if not holds(ARGV[1], ARGV[2], ARGV[3]) then
	return redis.error_reply(lost)
end
local before, most = ARGV[4], tonumber(ARGV[5])
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
				local done = P .. 'done:' .. m.scraper
				call('ZREM', done, id)
				if call('EXISTS', done, P .. 'live:' .. m.scraper) == 0 then
					drop('HDEL', P .. 'keep', m.scraper)
				end
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
	many('ZREM', P .. 'past', ids)
	call('UNLINK', unpack(feeds))
	dropped = dropped + #ids
end

retire(call('ZRANGEBYSCORE', P .. 'past', '-inf', '(' .. before, 'LIMIT', 0, most))
local left = false
for _, scraper in ipairs(call('SRANDMEMBER', P .. 'over', 100)) do
	local done, keep = P .. 'done:' .. scraper, keep_of(scraper)
	local extra = keep > 0 and call('ZCARD', done) - keep or 0
	local some = math.min(extra, most - dropped)
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

local dead = call('ZRANGEBYSCORE', P .. 'lost', '-inf', '(' .. before, 'LIMIT', 0, 1000)
many('HDEL', P .. 'owner', dead)
many('ZREM', P .. 'lost', dead)
call('ZREMRANGEBYSCORE', P .. 'rate', '-inf', now)
return (left or dropped >= most or call('SCARD', P .. 'over') > 0) and 1 or 0
