-- ARGV: topic, how many. Returns the entries and the number of the last.
local key = P .. 'feed:' .. ARGV[1]
return {call('LRANGE', key, '-' .. ARGV[2], -1), call('LLEN', key)}
