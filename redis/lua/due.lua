-- ARGV[1] is how many. Returns the cursors that are due with their scrapers and the IDs of the live jobs
-- of these, then those jobs, and when the first comes that is not due.
local due = call('ZRANGEBYSCORE', P .. 'due', '-inf', now, 'LIMIT', 0, ARGV[1])
local cursors = fetch(P .. 'cursor', due)
local all = {}
for i, scraper in ipairs(due) do
	all[i] = {scraper, cursors[i], rows(call('ZRANGE', P .. 'live:' .. scraper, 0, -1))}
end
local next = call('ZRANGEBYSCORE', P .. 'due', '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {all, tonumber(next[2] or 0), now}
