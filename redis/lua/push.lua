-- Push of one piece.
local refused = push(ARGV, 1, #ARGV)
flush()
return {refused, names}
