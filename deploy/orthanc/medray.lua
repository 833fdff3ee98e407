-- Orthanc asks medray about each image that it stores, and stores the answer in the image's study.
--
-- In Orthanc's configuration: "LuaScripts" : [ "/etc/orthanc/medray.lua" ]
-- Environment of Orthanc: MEDRAY_URL, such as http://127.0.0.1:8000; MEDRAY_TOKEN, where the service has tokens;
-- MEDRAY_ANSWER, one of sr (a structured report), overlay (a picture) or both.

local URL = os.getenv('MEDRAY_URL') or 'http://127.0.0.1:8000'
local TOKEN = os.getenv('MEDRAY_TOKEN')
local ANSWER = os.getenv('MEDRAY_ANSWER') or 'sr'

-- Only these are asked about: images of the kinds that the model was trained on. Take out or add what fits yours.
-- Reports and Secondary Captures are not among them, so no answer is ever asked about.
local IMAGES = {
  ['1.2.840.10008.5.1.4.1.1.1'] = 'Computed Radiography',
  ['1.2.840.10008.5.1.4.1.1.1.1'] = 'Digital X-Ray, for presentation',
  ['1.2.840.10008.5.1.4.1.1.1.2'] = 'Digital Mammography, for presentation',
  ['1.2.840.10008.5.1.4.1.1.6.1'] = 'Ultrasound',
  ['1.2.840.10008.5.1.4.1.1.77.1.4'] = 'VL Photographic (skin)',
  ['1.2.840.10008.5.1.4.1.1.77.1.5.1'] = 'Ophthalmic Photography, 8 bits',
}

local function parts(body)
  -- The files of a multipart/related body (RFC 2046), whose first line is its boundary.
  local boundary = body:match('^(%-%-[^\r\n]+)\r\n')
  local found, start = {}, 1
  while boundary do
    local head, from = body:find('\r\n\r\n', start, true)
    local to = from and body:find('\r\n' .. boundary, from + 1, true)
    if not to then break end
    table.insert(found, body:sub(from + 1, to - 1))
    start = to + 2
  end
  return found
end

local function patientOf(tags)
  -- PatientID, which Orthanc gives in UTF-8, unless it is blank, too long for the service or has control characters.
  local patient = (tags['PatientID'] or ''):match('^%s*([\32-\126\128-\255]-)%s*$') or ''
  local _, characters = patient:gsub('[^\128-\191]', '')
  if characters > 0 and characters <= 128 then return patient end
end

function OnStoredInstance(instanceId, tags, metadata, origin)
  local own = origin['RequestOrigin'] == 'Lua' or tags['Manufacturer'] == 'medray'
  if own or not IMAGES[tags['SOPClassUID'] or ''] then return end

  local headers = {
    ['Content-Type'] = 'application/dicom',
    ['Accept'] = 'multipart/related; type="application/dicom"',
  }
  if TOKEN then headers['Authorization'] = 'Bearer ' .. TOKEN end
  -- So that the service's log knows images of one patient as such; it keeps a keyed hash of the number alone.
  local patient = patientOf(tags)
  if patient then headers['X-Patient'] = patient end
  local file = RestApiGet('/instances/' .. instanceId .. '/file')
  local answer = HttpPost(URL .. '/predict?answer=' .. ANSWER, file, headers)
  local files = answer and parts(answer) or {}
  if #files == 0 then
    print('medray did not answer instance ' .. instanceId .. ': see its log, and ask again with deploy/orthanc/again.py')
  end
  for _, file in ipairs(files) do RestApiPost('/instances', file) end
end
