-- A piece of a large Push that is committed, and whether there is more.
local key, most = P .. 'stage:' .. ARGV[1], tonumber(ARGV[2])
local args = call('LRANGE', key, 0, most - 1)
call('LTRIM', key, most, -1)
local refused = push(args, 1, #args)
flush()
local left = call('LLEN', key)
if left == 0 then
	call('ZREM', P .. 'stages', ARGV[1])
end
return {refused, names, left}
