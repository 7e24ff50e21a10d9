-- ARGV[1] is the command that pauses or resumes, then queues.
for i = 2, #ARGV do
	call(ARGV[1], P .. 'paused', ARGV[i])
	if ARGV[1] == 'SREM' then
		wake(ARGV[i])
	else
		call('SADD', P .. 'queues', ARGV[i])
	end
end
return names
