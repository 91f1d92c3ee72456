return function()
  local m = {}
  for i = 0, 99999 do m[i] = i * 2 end
  local sum = 0
  for i = 0, 99999 do sum = sum + m[i] end
  return sum
end
